"""The disk: the one door to files, who may read them, where they lie and whether there is room."""
