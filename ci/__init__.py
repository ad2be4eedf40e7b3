"""What a pull request and its pipelines run: the comment, ephemeral stacks and their janitor, the drawn diagram."""
