"""Classifies emotions, seven or with contempt eight, from a DLN's deviation."""
