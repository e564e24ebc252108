"""Every bug that was fixed, as a test that failed before the fix. A new one gets a test here first."""
