"""The evidence bundle: a reproducible zip with events, proofs and documents, and the script that checks it.

`verify.py` lies beside this file to be copied into bundles. It uses the standard library only and shares no code with
the portal, so nothing here or elsewhere imports it.
"""
