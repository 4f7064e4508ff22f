"""What images alone need of a model: resolution, drop path, token merging, CIFAR ResNets."""
