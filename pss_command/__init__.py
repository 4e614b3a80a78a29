"""The command ``pss``: what tools/ does, and the configs that come with it; and
the arguments that tools share.

It is a package of its own because importing ``pss`` imports torch, which takes
seconds. The command needs only the standard library, so that ``pss --help`` and
``pss configs`` answer at once; so do tools, until their arguments are parsed.
"""
