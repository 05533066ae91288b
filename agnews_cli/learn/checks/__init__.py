"""What is measured of rows before training. No torch, but where meanings are asked for."""
