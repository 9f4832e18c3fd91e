"""The Deviation Learning Network of the CVPR 2021 paper."""
