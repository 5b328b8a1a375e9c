"""Views: parse, one call, answer. Each module serves one part of the product."""
