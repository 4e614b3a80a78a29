# PSS-Net, MobileNetV2, variant G: pools for GPU latency, in microseconds.
# bash tools/dist_train.sh configs/pss_mbv2_imagenet_gpu_latency.py 8
_base_ = ['pss_mbv2_imagenet.py', '_base_/latency/mbv2.py']

# the table, its command and the levels: _base_/latency/mbv2.py
default_hooks = dict(
    pss_sampler=dict(
        resources=dict(latency_gpu=_base_.latency_gpu),
        budgets=dict(_delete_=True, latency_gpu=_base_.gpu_levels)))
