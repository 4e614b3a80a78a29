"""The command ``pss``: what tools/ does, and the configs that come with it.

It is a package of its own because importing ``pss`` imports torch, which takes
seconds; this one needs only the standard library, so that ``pss --help`` and
``pss configs`` answer at once.
"""
