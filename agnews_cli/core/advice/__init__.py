"""What to do with these data, on this machine, with this quota: rules over what was measured."""
