"""RESTOR: does an unlearned model answer as if it had never read the wrong documents?"""
