"""The offline half of the project: a toolchain from package registries, a cluster and the engine's plugins.

Nothing outside this package imports it. It exists so that the real program can run on one bare machine.
"""
