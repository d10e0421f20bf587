"""What napari calls: readers, writers and sample data, and later the windows."""
