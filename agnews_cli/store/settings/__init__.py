"""What users write for us: presets, limits, offers, requests and stores, by one strict reader."""
