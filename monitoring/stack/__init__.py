"""What watches the services, as processes on this machine: Prometheus, Alertmanager, Pushgateway, a receiver."""
