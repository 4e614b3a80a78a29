# Makes the types that begin with pss. known, and has the hooks they need. The
# hooks are variables, for whatever inherits this beside a runtime of mmdet's:
# MMEngine refuses two bases that both set default_hooks.
custom_imports = dict(imports=['pss'], allow_failed_imports=False)

pss_hooks = dict(
    # whole checkpoints, which torch 2.6 and newer load
    checkpoint=dict(type='pss.AtomicCheckpointHook', max_keep_ckpts=3),
    resume=dict(type='pss.ResumeHook'),
    termination=dict(type='pss.TerminationHook'))

# and for adaptive detectors
adaptive_hooks = dict(
    **pss_hooks,
    # draws what an iteration trains; a config adds the levels that have a pool
    pss_sampler=dict(
        type='pss.PSSSamplerHook', sampler=dict(type='pss.PrioritizedSampler')),
    # chooses and tests subnets after training, and writes them as a bank
    bank=dict(type='pss.BankHook'))

randomness = dict(seed=0)
