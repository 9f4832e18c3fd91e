"""Numbers measured on triplets, pairs, faces and transfers, with intervals and differences."""
