"""Forms: they turn texts into domain values and problems. They save nothing and read no AWS."""
