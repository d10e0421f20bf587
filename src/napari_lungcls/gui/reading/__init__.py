"""What each kind of file becomes in napari; `gui.readers` decides by the name."""
