# mmdet's 1x schedule on COCO, for detectors whose backbone is a supernet: the
# largest, a sampled and the smallest subnet in each iteration
_base_ = [
    'mmdet::_base_/datasets/coco_detection.py',
    'mmdet::_base_/schedules/schedule_1x.py',
    'adaptive_runtime.py',
    'coco_held_out.py',
]

# pools by the backbone's FLOPs at 800 x 1333
default_hooks = dict(pss_sampler=dict(budgets=dict(flops=dict(pools=8))))
# three passes sum their gradients: as in mmdet, with a limit on their norm
optim_wrapper = dict(
    type='pss.SandwichOptimWrapper', clip_grad=dict(max_norm=35))

training_part = dict(
    **_base_.training_split, dataset=_base_.train_dataloader.dataset)
train_dataloader = dict(dataset=dict(_delete_=True, **training_part))
held_out_dataloader = dict(
    **_base_.held_out_loading,
    batch_size=1,
    dataset=dict(
        **_base_.held_out_split,
        dataset=dict(
            **_base_.held_out_images,
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='Resize', scale=(1333, 800), keep_ratio=True),
                dict(type='LoadAnnotations', with_bbox=True),
                _base_.held_out_packing,
            ])))
val_dataloader = dict(_delete_=True, **held_out_dataloader)
val_evaluator = dict(_delete_=True, **_base_.held_out_evaluator)
calibration_dataloader = dict(
    **_base_.calibration_loading,
    batch_size=16,
    batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=training_part)

train_cfg = dict(type='pss.SupernetTrainLoop')
val_cfg = dict(
    **_base_.subnet_val_loop, calibration_dataloader=calibration_dataloader)
test_cfg = dict(
    **_base_.subnet_test_loop,
    calibration_dataloader=calibration_dataloader,
    selection_dataloader=held_out_dataloader)
