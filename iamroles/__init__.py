"""Roledesk: standing, reviewed, least-privilege service roles for application teams.

The layers and the direction of imports are in docs/architecture.md; import-linter holds them.
"""
