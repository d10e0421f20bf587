"""Readers, one for each kind of image file, and for arrays and layers in memory."""
