"""``python -m pss_command`` is the command ``pss``."""

from .main import main

if __name__ == '__main__':
    main()
