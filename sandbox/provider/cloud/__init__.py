"""The stand-in for the packages aws, gcp and eks: one pretended cloud, whose rules are data (README.md).

Never a deployment: nothing here speaks to a cloud. A type or function without a rule is refused.
"""
