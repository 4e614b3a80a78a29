# What adaptive detectors add to runtime.py
_base_ = 'runtime.py'

default_hooks = dict(
    # draws what an iteration trains; a config adds the levels that have a pool
    pss_sampler=dict(
        type='pss.PSSSamplerHook', sampler=dict(type='pss.PrioritizedSampler')),
    # chooses and tests subnets after training, and writes them as a bank
    bank=dict(type='pss.BankHook'))
model_wrapper_cfg = dict(type='pss.SupernetDistributedDataParallel')
