"""How files are taken apart into records, and text into values, whatever system wrote them."""
