"""What an instructor hands out of the book: a deck for each chapter, and printed pages."""
