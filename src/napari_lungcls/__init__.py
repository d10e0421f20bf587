"""Train a ResNet-18 on labelled points and paint what it learned over whole lung sections."""
