# mmdet's runtime with the hooks of pss
_base_ = ['mmdet::_base_/default_runtime.py', 'pss_hooks.py']

default_hooks = _base_.pss_hooks
