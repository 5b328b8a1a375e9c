"""Asking in the browser: forms, preview, check answers, Home, checking a role, error pages."""
