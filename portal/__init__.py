"""The Django project: configuration and wiring. Nothing in `iamroles` imports it."""
