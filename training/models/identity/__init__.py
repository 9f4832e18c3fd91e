"""The compact frozen branch, distilled from a face recognition network."""
