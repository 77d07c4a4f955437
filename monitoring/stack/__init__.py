"""What watches the services, on this machine and without containers: Prometheus, Alertmanager, Pushgateway, a receiver."""
