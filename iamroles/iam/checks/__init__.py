"""The tests behind the findings of POLICY.md part 8, one module a family. `iam.lint` runs them and nobody else does."""
