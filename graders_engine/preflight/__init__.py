"""Is a grader fit for a reinforcement fine-tuning job: valid on its rows, fair, informative, not gameable?

`examine.preflight` reads the files, grades what the checks need, and asks each check of `table.CHECKS`.
"""
