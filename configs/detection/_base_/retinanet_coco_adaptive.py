# mmdet's RetinaNet on COCO over a supernet; configs add the backbone
_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py', 'coco_adaptive.py']

model = dict(
    type='pss.SupernetDetector',
    detector='mmdet.RetinaNet',
    input_size=(800, 1333),
    backbone=dict(
        _delete_=True,
        # short sides of 480 to 800; widths as on ImageNet
        search_space=dict(resolutions=dict(start=480, stop=800, step=40))))
