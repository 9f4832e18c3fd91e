"""What was measured, and how; none of it is part of the package."""
