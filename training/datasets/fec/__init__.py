"""FEC: its CSV files, its triplets, and the download of its photos."""
