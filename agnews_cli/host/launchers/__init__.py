"""Where sessions can be started from here, one file each: what `Launcher` says, no more."""
