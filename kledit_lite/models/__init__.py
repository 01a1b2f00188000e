"""Anyone's model behind one interface: profiles, pipelines, encoders, writers, folders."""
