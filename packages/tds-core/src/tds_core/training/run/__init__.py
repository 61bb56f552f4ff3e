"""From a configuration to an evaluated bundle: data, plan, training, evaluation, export."""
