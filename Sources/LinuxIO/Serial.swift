import BridgeEngine
import CLinux
