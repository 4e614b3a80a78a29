# mmdet's runtime with the hooks of pss, for adaptive detectors
_base_ = ['mmdet::_base_/default_runtime.py', 'pss_hooks.py']

default_hooks = _base_.adaptive_hooks
model_wrapper_cfg = dict(type='pss.SupernetDistributedDataParallel')
