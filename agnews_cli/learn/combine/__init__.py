"""What is done with stored predictions: arrays in, arrays out. Nothing here needs torch."""
