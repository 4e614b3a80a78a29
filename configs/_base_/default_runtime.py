# defaults to use registries in mmpretrain
default_scope = 'mmpretrain'
# makes the types that begin with pss. known
custom_imports = dict(imports=['pss'], allow_failed_imports=False)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100),
    param_scheduler=dict(type='ParamSchedulerHook'),
    # the newest three; each holds the pools and their scores. For one every
    # 1,000 iterations: by_epoch=False, interval=1000
    checkpoint=dict(
        type='pss.AtomicCheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='VisualizationHook', enable=False),
    # draws what an iteration trains; a config adds the levels that have a pool
    pss_sampler=dict(
        type='pss.PSSSamplerHook', sampler=dict(type='pss.PrioritizedSampler')),
    # fill, best score, churn and entropy of every pool, for the visualizer
    pool_log=dict(type='pss.PoolLogHook', interval=500),
    # chooses and tests subnets after training, and writes them as a bank
    bank=dict(type='pss.BankHook'),
    # makes a resumed run go on as if it had not been interrupted
    resume=dict(type='pss.ResumeHook'),
    # on SIGTERM: a checkpoint, then the end
    termination=dict(type='pss.TerminationHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
model_wrapper_cfg = dict(type='pss.SupernetDistributedDataParallel')

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends)

log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0)
