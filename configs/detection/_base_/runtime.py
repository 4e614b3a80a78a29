_base_ = 'mmdet::_base_/default_runtime.py'

# makes the types that begin with pss. known
custom_imports = dict(imports=['pss'], allow_failed_imports=False)

# mmdet's, but for checkpoints: whole ones, which torch 2.6 and newer load
default_hooks = dict(
    checkpoint=dict(type='pss.AtomicCheckpointHook', max_keep_ckpts=3),
    resume=dict(type='pss.ResumeHook'),
    termination=dict(type='pss.TerminationHook'))

randomness = dict(seed=0)
