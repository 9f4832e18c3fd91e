"""What is measured: one metric a file, with its interval."""
