"""What a sweep over the hosts' configs found, as a table per class."""
from collections import Counter, defaultdict
from collections.abc import Iterable

STATUSES = ('ok', 'nothing to swap', 'failed', 'stock fails too', 'missing package', 'no model')
WITHOUT = 'As if no class had a slot'


def sweep_table(results: Iterable[dict]) -> str:
    """Markdown from the lines that sweep.py keeps.

    Args:
        results: One per config: ``config``, ``key``, ``status``; and, from the first config with
            its key, ``sites`` and ``runs`` as :func:`trial.try_config` makes them. Numbers are of
            configs, those of the generic run of the models that had one.
    """
    results = list(results)
    trials = {result['key']: result for result in results if 'runs' in result}
    number = Counter(result['key'] for result in results if result.get('key') in trials)
    generic = {key: _only(trial, trial['runs']['generic']) for key, trial in trials.items()
               if 'generic' in trial['runs']}
    trials = {key: dict(trial, runs={name: run for name, run in trial['runs'].items()
                                     if name != 'generic'}) for key, trial in trials.items()}
    models = Counter(generic.keys())
    lines = ['# Sweep', '', *_totals(results), '', '## Classes', '',
             *_classes(trials, number, generic)]
    for title, rows in (
            ('Sites that refuse, by reason', _refusals(trials, number)),
            ('Failures', _failures(trials, number, 'failed')),
            ('Configs whose stock model fails too', _failures(trials, number, 'stock fails too')),
            ('Missing packages; configs that do not load, or take their process down',
             _unread(results, trials, number)),
            (f'{WITHOUT}: models', _totals(generic.values())),
            (f'{WITHOUT}: sites where there is none', [
                f"- {', '.join(new)} in {trial['config']}" for key, trial in generic.items()
                if (new := _beside_slots(trial, trials[key]))]),
            (f'{WITHOUT}: sites that refuse', _refusals(generic, models)),
            (f'{WITHOUT}: failures', _failures(generic, models, 'failed'))):
        lines += ['', f'## {title}', '', *(rows or ['None.'])]
    return '\n'.join(lines) + '\n'


def _only(trial, run):
    """A trial that had no run but the generic one."""
    return dict(config=trial['config'], sites=run['sites'], status=run['status'],
                runs=dict(generic=run))


def _beside_slots(generic, trial):
    """Sites of a generic run where there is no slot, nor one further below."""
    slots = [f"{site['path']}." for site in trial['sites'] if site['slot']]
    return [f"{site['path']} ({site['host']})" for site in generic['sites']
            if site['slot'] and not any(path.startswith(f"{site['path']}.") for path in slots)]


def _totals(results):
    counts = Counter((result['config'].split('::')[0], result['status']) for result in results)
    hosts = sorted({host for host, _ in counts})
    return [f'| Configs | {" | ".join(STATUSES)} | all |', '|---|' + '---|' * (len(STATUSES) + 1),
            *(f'| {host} | ' + ' | '.join(
                str(n) for n in [*(counts[host, status] for status in STATUSES),
                                 sum(n for key, n in counts.items() if key[0] == host)]) + ' |'
              for host in hosts)]


def _classes(trials, number, generic):
    """Rows host class -> number of configs that have it, are swapped, ..."""
    have, nothing, optional = Counter(), Counter(), Counter()
    done, failed = defaultdict(Counter), defaultdict(Counter)
    names = list(dict.fromkeys(name for trial in trials.values() for name in trial['runs']))
    for key, trial in trials.items():
        paths = defaultdict(set)  # host class -> paths of its sites
        for site in trial['sites']:
            paths[site['host']].add(site['path'])
        for host, sites in paths.items():
            rows = [site for site in trial['sites'] if site['path'] in sites]
            have[host] += number[key]
            if all(site['reason'] for site in rows if not site['optional']):
                nothing[host] += number[key]
            if any(site['optional'] and not site['reason'] for site in rows):
                optional[host] += number[key]
            for name, run in trial['runs'].items():
                if sites & set(run['swapped']):
                    which = done if run['status'] == 'ok' else failed
                    which[name][host] += number[key]
    for trial in generic.values():
        for host in {site['host'] for site in trial['sites']
                     if site['path'] in trial['runs']['generic']['swapped']}:
            (done if trial['status'] == 'ok' else failed)['generic'][host] += 1
    header = ['Host class', 'configs', *(f'{name} ok' for name in names),
              *(f'{name} not' for name in names), 'no default site', 'optional site', 'generic ok',
              'generic not']
    return [f'| {" | ".join(header)} |', '|' + '---|' * len(header), *(
        f'| {host} | ' + ' | '.join(str(n) for n in [
            have[host], *(done[name][host] for name in names),
            *(failed[name][host] for name in names), nothing[host], optional[host],
            done['generic'][host], failed['generic'][host]]) + ' |'
        for host in sorted({*have, *done['generic'], *failed['generic']}))]


def _refusals(trials, number):
    counts = Counter()
    for key, trial in trials.items():
        host = {site['path']: site['host'] for site in trial['sites']}
        for site in trial['sites']:
            if site['reason'] and not site['optional']:
                counts['any', site['host'], site['reason']] += number[key]
        known = {site['path'] for site in trial['sites'] if site['reason']}
        for name, run in trial['runs'].items():
            for path, reason in run['refused'].items():
                if path not in known:
                    counts[name, host[path], reason] += number[key]
    return [f'- {n} x {host}, {name}: {reason}'
            for (name, host, reason), n in sorted(counts.items(), key=lambda item: item[0][1:])]


def _failures(trials, number, status):
    rows = defaultdict(list)
    for key, trial in trials.items():
        for name, run in trial['runs'].items():
            if run['status'] == status:
                for phase, error in run['failures'].items():
                    rows[f'{phase}: {" ".join(error.split())}'].append(
                        (trial['config'], name, number[key]))
    return [f'- {error}: {sum(n for *_, n in found)} runs, e.g. {found[0][1]} in {found[0][0]}'
            for error, found in sorted(rows.items())]


def _unread(results, trials, number):
    counts = Counter(' '.join(result['error'].split()) for result in results if 'error' in result)
    for key, trial in trials.items():
        for error in {' '.join(error.split()) for run in trial['runs'].values()
                      if run['status'] == 'missing package' for error in run['failures'].values()}:
            counts[error] += number[key]
    return [f'- {n} x {error}' for error, n in sorted(counts.items())]
