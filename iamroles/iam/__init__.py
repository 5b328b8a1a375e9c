"""The pure IAM language: documents, decisions, proofs, differences, findings and their words.

Nothing here knows the portal, AWS calls, a clock or a database; `python -m iamroles.iam` is its command line. Modules
are imported one by one, so that importing the package costs next to nothing.
"""
