from pss.engine import PSSSamplerHook

from ...training import train


def test_validation_of_pools(tiny_config):
    """Oracle: names of the pools that have an entry."""
    runner = train(tiny_config, **{'val_cfg.pools': True})
    metrics = runner.val_loop.run()
    hook = next(h for h in runner.hooks if isinstance(h, PSSSamplerHook))
    assert {name.split('/')[0]
            for name in metrics} == {
                'largest', 'smallest',
                *(str(p.budget) for p in hook.sampler.pools if len(p))
            }


def test_agreement_of_scores_and_accuracy(tiny_config):
    """Oracle: Spearman's correlation by hand from the loop's own accuracies of
    the pools' evenly ranked members."""
    from pss.sampling import rank_correlation
    tiny_config.val_cfg.update(ranked_pools=11, ranked_members=3)
    tiny_config.default_hooks.pss_sampler.budgets = dict(flops=dict(pools=4))
    runner = train(tiny_config)
    loop = runner.val_loop
    seen = {}
    evaluate = loop.evaluate
    loop.evaluate = lambda *args: seen.setdefault('found', evaluate(*args))
    metrics = loop.run()
    members = [
        entry for pool in loop.sampler_hook.sampler.pools
        for entry in pool.evenly_ranked(3)
    ]
    by_hand = rank_correlation(
        [score for _, score in members],
        [seen['found'][subnet]['accuracy/top1'] for subnet, _ in members])
    assert metrics['pools/agreement'] == by_hand == loop.agreement['all']
